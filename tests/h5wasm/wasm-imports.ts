// What a side module imports and which of it is weak, read from the file: WebAssembly.Module.imports says the names, the
// dylink.0 section (tool-conventions, "Dynamic Linking") says which may be absent.

export interface SideImport {
  readonly module: string;
  readonly name: string;
  readonly kind: string;
  readonly weak: boolean;
}

const IMPORT_INFO = 4;
const WEAK = 1;

export function sideImports(bytes: Uint8Array<ArrayBuffer>): { imports: SideImport[]; exports: string[] } {
  const module = new WebAssembly.Module(bytes);
  const weak = weakNames(module);
  return {
    imports: WebAssembly.Module.imports(module).map(({ module: from, name, kind }) => ({
      module: from,
      name,
      kind,
      weak: weak.has(`${from} ${name}`) || weak.has(`env ${name}`),
    })),
    exports: WebAssembly.Module.exports(module).map((entry) => entry.name),
  };
}

function weakNames(module: WebAssembly.Module): Set<string> {
  const names = new Set<string>();
  for (const section of WebAssembly.Module.customSections(module, 'dylink.0')) {
    const reader = new Reader(new Uint8Array(section));
    while (!reader.atEnd()) {
      const type = reader.byte();
      const content = new Reader(reader.bytes(reader.number()));
      if (type !== IMPORT_INFO) continue;
      for (let left = content.number(); left > 0; left--) {
        const name = `${content.text()} ${content.text()}`;
        if (content.number() & WEAK) names.add(name);
      }
    }
  }
  return names;
}

/** LEB128 numbers and length-prefixed strings. */
class Reader {
  private at = 0;
  private readonly data: Uint8Array;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  atEnd(): boolean {
    return this.at >= this.data.length;
  }

  byte(): number {
    return this.data[this.at++] ?? 0;
  }

  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  bytes(length: number): Uint8Array {
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.bytes(this.number()));
  }
}
