// What a subcommand of ./farm is. Each file in commands/ exports one as `command`; main.ts finds them by itself.

export interface Option {
  readonly type: 'boolean' | 'string';
  /** One line for --help. */
  readonly doc: string;
  /** Placeholder of the value in --help, for strings. */
  readonly value?: string;
  readonly multiple?: boolean;
}

export interface Arguments {
  readonly positionals: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): readonly string[];
}

export interface Command {
  readonly name: string;
  /** One line for the list. */
  readonly summary: string;
  /** Positional arguments as shown in --help, such as "[filters...]". */
  readonly positionals?: string;
  readonly options?: Readonly<Record<string, Option>>;
  /** More lines for `./farm NAME --help`: examples, what it leaves behind. */
  readonly help?: string;
  /** Place in the list of --help; lower comes first. Default 50. */
  readonly order?: number;
  /** Returns the exit status. */
  run(args: Arguments): Promise<number>;
}
