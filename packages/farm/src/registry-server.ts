// The embedded npm registry: rehearsals, the demo and the install tests publish to it and install from it, so that
// "npm install @h5z/zstd" is tried for real without anything leaving the machine. It is verdaccio on the loopback
// interface, on a free port, without uplinks, in a process of its own that ends with its parent.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = fileURLToPath(import.meta.url);

/** Where npm's command line lies: beside the Node that runs us, or beside the npm on PATH. */
function npmCommand(): string {
  return process.platform === 'win32' ? 'npm.cmd' : 'npm';
}

export interface RunningRegistry {
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;
  /** Environment for npm: this registry, a token for it, a cache and user configuration that are not the person's own. */
  readonly env: NodeJS.ProcessEnv;
  /** Publishes a `.tgz` made by `npm pack`, with npm itself. */
  publish(tarball: string): Promise<void>;
  /** Puts the named packages, as Node resolves them from `from`, and all their dependencies into the registry. */
  mirror(names: readonly string[], from: string): Promise<string[]>;
  /**
   * `npm ...args` in `cwd` against this registry; resolves with its output, rejects with what npm said. `more`: variables
   * beside {@link env}.
   */
  npm(args: readonly string[], cwd: string, more?: NodeJS.ProcessEnv): Promise<string>;
  /** Stops the server and removes its storage. */
  close(): Promise<void>;
}

/**
 * Starts the registry and resolves when it answers. `storage` defaults to a new temporary folder; it is removed by
 * `close` in any case. Throws with the server's own words when it does not come up within 30 seconds.
 */
export async function startRegistry(options: { storage?: string } = {}): Promise<RunningRegistry> {
  const root = options.storage ?? mkdtempSync(join(tmpdir(), 'h5z-registry-'));
  mkdirSync(root, { recursive: true });
  // stdin is the lifeline: when the parent dies, however it dies, the pipe closes and the server exits.
  const child = spawn(process.execPath, [here, '--serve', root], { stdio: ['pipe', 'pipe', 'pipe'] });
  const port = await listening(child);
  const url = `http://127.0.0.1:${port}/`;
  const userconfig = join(root, 'npmrc');
  // The token is a formality: npm refuses to publish without one, verdaccio lets everybody publish here.
  writeFileSync(
    userconfig,
    [
      `registry=${url}`,
      `//127.0.0.1:${port}/:_authToken=local-rehearsal`,
      `cache=${join(root, 'npm-cache')}`,
      'audit=false',
      'fund=false',
      'update-notifier=false',
      'provenance=false',
      '',
    ].join('\n'),
  );
  const env: NodeJS.ProcessEnv = {};
  for (const [key, value] of Object.entries(process.env)) {
    // What an outer `npm run` or a person's shell exports must not reach this npm.
    if (!/^npm_/i.test(key) && key !== 'NODE_AUTH_TOKEN') env[key] = value;
  }
  env.npm_config_userconfig = userconfig;
  env.npm_config_globalconfig = join(root, 'no-global-npmrc');
  env.NO_PROXY = '127.0.0.1,localhost';
  env.no_proxy = env.NO_PROXY;

  const npm = async (args: readonly string[], cwd: string, more: NodeJS.ProcessEnv = {}): Promise<string> => {
    try {
      const { stdout } = await run(npmCommand(), [...args], {
        cwd,
        env: { ...env, ...more },
        maxBuffer: 1 << 26,
        shell: process.platform === 'win32',
      });
      return stdout;
    } catch (cause) {
      const said = (cause as { stderr?: string }).stderr ?? '';
      const lines = said.split('\n').filter((line) => /npm (error|ERR!)/.test(line));
      throw new Error(`npm ${args.join(' ')} failed: ${lines.slice(0, 12).join('; ') || said || String(cause)}`);
    }
  };

  return {
    url,
    env,
    npm,
    async publish(tarball) {
      await npm(['publish', tarball, '--ignore-scripts', '--access', 'public', '--tag', 'latest'], root);
    },
    async mirror(names, from) {
      const done: string[] = [];
      for (const folder of dependencyFolders(names, from)) {
        const pkg = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string; version: string };
        // npm has verified what lies in node_modules against the lock; packing it again gives the same files.
        const out = mkdtempSync(join(root, 'mirror-'));
        await npm(['pack', folder, '--ignore-scripts', '--silent', '--pack-destination', out], root);
        const file = `${pkg.name.replace(/^@/, '').replace('/', '-')}-${pkg.version}.tgz`;
        await put(url, join(out, file), folder);
        rmSync(out, { recursive: true, force: true });
        done.push(`${pkg.name}@${pkg.version}`);
      }
      return done;
    },
    async close() {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.stdin?.end();
      await ended;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Resolves with the port that the child prints, rejects when it dies or is silent. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill();
      reject(new Error(`the embedded npm registry did not start: ${why}\n${said.trim()}`));
    };
    const timer = setTimeout(() => fail('no answer within 30 seconds'), 30_000);
    child.stderr?.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-4000);
    });
    child.stdout?.on('data', (data: Buffer) => {
      said = (said + data.toString()).slice(-4000);
      const port = /^H5Z_REGISTRY_PORT=(\d+)$/m.exec(said)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
    child.once('exit', (code) => fail(`it exited with status ${code}`));
  });
}

/** Folders of the named packages and of all their dependencies, as Node would resolve them from `from`. */
export function dependencyFolders(names: readonly string[], from: string): string[] {
  const found = new Set<string>();
  const visit = (name: string, base: string, optional: boolean): void => {
    const folder = findPackage(name, base);
    if (folder === undefined) {
      if (optional) return;
      throw new Error(`${name} is not in node_modules (looked from ${base}): run "npm ci --ignore-scripts" first`);
    }
    if (found.has(folder)) return;
    found.add(folder);
    const pkg = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    for (const dependency of Object.keys(pkg.dependencies ?? {})) visit(dependency, folder, false);
    for (const dependency of Object.keys(pkg.optionalDependencies ?? {})) visit(dependency, folder, true);
  };
  for (const name of names) visit(name, from, false);
  return [...found].sort();
}

function findPackage(name: string, base: string): string | undefined {
  for (let folder = base; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (dirname(folder) === folder) return undefined;
  }
}

/** Publishes a tarball over HTTP, as npm's client does; used for packages that are not ours. */
async function put(url: string, tarball: string, folder: string): Promise<void> {
  const bytes = readFileSync(tarball);
  const pkg = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string; version: string };
  const file = basename(tarball);
  const body = {
    _id: pkg.name,
    name: pkg.name,
    'dist-tags': { latest: pkg.version },
    versions: {
      [pkg.version]: {
        ...pkg,
        _id: `${pkg.name}@${pkg.version}`,
        dist: {
          integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
          shasum: createHash('sha1').update(bytes).digest('hex'),
          tarball: `${url}${pkg.name}/-/${file}`,
        },
      },
    },
    _attachments: {
      [file]: { content_type: 'application/octet-stream', data: bytes.toString('base64'), length: bytes.length },
    },
  };
  const answer = await fetch(url + pkg.name.replace('/', '%2f'), {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  // 409: the same version is there already, which is what was asked for.
  if (!answer.ok && answer.status !== 409) {
    throw new Error(
      `the embedded registry refused ${pkg.name}@${pkg.version}: ${answer.status} ${await answer.text()}`,
    );
  }
}

/** The child process: serves until its standard input closes. */
async function serve(root: string): Promise<void> {
  const require = createRequire(import.meta.url);
  const { runServer } = require('verdaccio') as {
    runServer(config: object): Promise<import('node:http').Server>;
  };
  const server = await runServer({
    self_path: root,
    storage: join(root, 'storage'),
    uplinks: {},
    auth: { htpasswd: { file: join(root, 'htpasswd'), max_users: -1 } },
    packages: { '**': { access: '$all', publish: '$all', unpublish: '$all' } },
    max_body_size: '200mb',
    log: { type: 'stdout', format: 'pretty', level: 'error' },
    web: { enable: false },
    // Publishing with any token and without a user is fine on the loopback interface of one test.
    security: { api: { legacy: true } },
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the registry has no port');
    process.stdout.write(`H5Z_REGISTRY_PORT=${address.port}\n`);
  });
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();
}

if (process.argv[1] === here && process.argv[2] === '--serve') {
  const root = process.argv[3];
  if (root === undefined) throw new Error('usage: registry-server.ts --serve FOLDER');
  await serve(root);
}
