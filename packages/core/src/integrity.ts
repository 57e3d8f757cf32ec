// SHA-256 against the manifest: catches damaged files, mixed versions and a CDN's mistakes. It does not protect from a
// malicious package, whose manifest would lie too.

import { H5zError } from './errors.js';

/** SHA-256 in lower-case hex. Needs WebCrypto: Node, workers and pages served over HTTPS or from localhost. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Throws H5Z_INTEGRITY, naming both hashes, unless `bytes` hash to `expected` (hex). On a page without WebCrypto
 * (plain HTTP) nothing is checked: there the network could have changed the script that asks just as well.
 */
export async function checkSha256(bytes: Uint8Array<ArrayBuffer>, expected: string, label: string): Promise<void> {
  if (globalThis.crypto?.subtle === undefined) return;
  const actual = await sha256(bytes);
  if (actual === expected) return;
  throw new H5zError('H5Z_INTEGRITY', `${label} has SHA-256 ${actual}, but its manifest says ${expected}`, {
    remedy: 'reinstall the package, or deploy files of one version together',
    details: { file: label, actual, expected },
  });
}

/** The integrity string that fetch takes, from a hex SHA-256. */
export function sriOf(hex: string): string {
  const bytes = hex.match(/../g)?.map((pair) => String.fromCharCode(Number.parseInt(pair, 16))) ?? [];
  return `sha256-${btoa(bytes.join(''))}`;
}
