// Decodes the chunk of case.json with a codec and says what came out.

export async function decodeCase(codec, one) {
  const decoded = codec.decode(one.bytes, { cdValues: one.cdValues, size: one.size });
  return { variant: codec.variant, canEncode: codec.canEncode, length: decoded.length, sha256: await digest(decoded) };
}

/** SHA-256 in hex. */
export async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
