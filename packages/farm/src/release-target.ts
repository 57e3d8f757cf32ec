// The npm registry that a release goes to: asked over HTTP, changed by npm itself, which knows people's logins, proxies and
// how to attest provenance. Every refusal is a sentence that says what to do.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { FarmError } from './log.ts';
import type { RunningRegistry } from './registry-server.ts';

/** What the registry says of one package. */
export interface Published {
  readonly tags: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, { readonly integrity: string; readonly tarball: string }>>;
}

export interface Target {
  /** Ends with `/`. */
  readonly url: string;
  /** Attest where and from what the tarballs were built; needs a CI that offers an OIDC token. */
  readonly provenance: boolean;
  npm(args: readonly string[]): Promise<string>;
}

/** The embedded registry, and any other that `./farm` started. */
export const embeddedTarget = (registry: RunningRegistry, cwd: string): Target => ({
  url: registry.url,
  provenance: false,
  npm: (args) => registry.npm([...args, '--registry', registry.url], cwd),
});

/** True where npm can ask the CI who it is: GitHub's workflows with `id-token: write`, GitLab with an ID token. */
const oidcOffered = (env: NodeJS.ProcessEnv): boolean =>
  [env.ACTIONS_ID_TOKEN_REQUEST_URL, env.SIGSTORE_ID_TOKEN].some((value) => value !== undefined && value !== '');

/** A registry by URL, or the one that npm is configured for, with the person's or the CI's own npm settings. */
export async function npmTarget(cwd: string, registry?: string, env = process.env): Promise<Target> {
  const npm = async (args: readonly string[]): Promise<string> => {
    try {
      const options = { cwd, env, maxBuffer: 1 << 26, shell: process.platform === 'win32' };
      return (await promisify(execFile)('npm', [...args], options)).stdout;
    } catch (cause) {
      const said = (cause as { stderr?: string }).stderr ?? '';
      throw new Error(said.trim() === '' ? String(cause) : said.trim());
    }
  };
  const url = (registry ?? (await npm(['config', 'get', 'registry'])).trim()).replace(/\/*$/, '/');
  return { url, provenance: oidcOffered(env), npm: (args) => npm([...args, '--registry', url]) };
}

/** What the registry has of `name`; no versions when it does not know it. */
export async function askRegistry(target: Target, name: string): Promise<Published> {
  const answer = await request(target, `${target.url}${name.replace('/', '%2f')}`);
  if (answer.status === 404) return { tags: {}, versions: {} };
  const body = (await answer.json()) as {
    'dist-tags'?: Record<string, string>;
    versions?: Record<string, { dist: { integrity: string; tarball: string } }>;
  };
  const versions = Object.entries(body.versions ?? {}).map(([version, { dist }]) => [version, dist] as const);
  return { tags: body['dist-tags'] ?? {}, versions: Object.fromEntries(versions) };
}

export async function download(target: Target, url: string): Promise<Buffer> {
  return Buffer.from(await (await request(target, url)).arrayBuffer());
}

async function request(target: Target, url: string): Promise<Response> {
  let problem = '';
  for (let turn = 0; turn < 3; turn++) {
    if (turn > 0) await sleep(500 * turn);
    try {
      const answer = await fetch(url, {
        headers: { 'cache-control': 'no-cache' },
        signal: AbortSignal.timeout(60_000),
      });
      if (answer.ok || answer.status === 404) return answer;
      problem = `answers ${answer.status} ${answer.statusText}`;
      if (answer.status < 500 && answer.status !== 429) break;
    } catch (error) {
      const cause = (error as { cause?: { code?: string } }).cause;
      problem = `does not answer (${cause?.code ?? (error as Error).message})`;
    }
  }
  throw new FarmError(`the registry ${target.url} ${problem}. ${AGAIN}`);
}

/** True of every failure that a second run may not meet. */
export const AGAIN =
  'Nothing half done can be installed: run the same command again when it is back, and it goes on where it was.';

/** Why npm failed, for people. */
export function explainNpm(what: string, target: Target, error: unknown): FarmError {
  const said = error instanceof Error ? error.message : String(error);
  const because = (text: string): FarmError => new FarmError(`${what}: ${text}`);
  if (/ENOSPC/.test(said)) return because(`the disk is full. Free some room (npm's cache counts). ${AGAIN}`);
  if (/E401|ENEEDAUTH|E403.*(token|auth|permission)/i.test(said))
    return because(
      `the registry ${target.url} does not know you or does not let you. Run npm login, or give NODE_AUTH_TOKEN. ${AGAIN}`,
    );
  if (/ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|SOCKET|network/i.test(said))
    return because(`the registry ${target.url} cannot be reached. ${AGAIN}`);
  const lines = said.split('\n').filter((line) => line.trim() !== '' && !/A complete log of this run/.test(line));
  return because(`npm says: ${lines.slice(0, 8).join('; ')}`);
}
