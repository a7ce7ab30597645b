// Which partition does a document belong to, and which range of hashes does a key have?

const MASK = (1n << 64n) - 1n;
const C1 = 0x87c37b91114253d5n;
const C2 = 0x4cf5ad432745937fn;

const rotate = (value, by) => ((value << by) | (value >> (64n - by))) & MASK;
const times = (one, other) => (one * other) & MASK;
const plus = (one, other) => (one + other) & MASK;

function finish(value) {
  value = times(value ^ (value >> 33n), 0xff51afd7ed558ccdn);
  value = times(value ^ (value >> 33n), 0xc4ceb9fe1a85ec53n);
  return value ^ (value >> 33n);
}

const mixed1 = block => times(rotate(times(block, C1), 31n), C2);
const mixed2 = block => times(rotate(times(block, C2), 33n), C1);

// MurmurHash3, x64, 128 bits, seed 0: the hash of Cosmos DB's partition keys, version 2.
function murmur(bytes) {
  const whole = bytes.length - (bytes.length % 16);
  const tail = Buffer.concat([bytes.subarray(whole), Buffer.alloc(16)]);
  let [h1, h2] = [0n, 0n];
  for (let at = 0; at < whole; at += 16) {
    h1 ^= mixed1(bytes.readBigUInt64LE(at));
    h1 = plus(times(plus(rotate(h1, 27n), h2), 5n), 0x52dce729n);
    h2 ^= mixed2(bytes.readBigUInt64LE(at + 8));
    h2 = plus(times(plus(rotate(h2, 31n), h1), 5n), 0x38495ab5n);
  }
  const length = BigInt(bytes.length);
  h2 ^= mixed2(tail.readBigUInt64LE(8)) ^ length;
  h1 ^= mixed1(tail.readBigUInt64LE(0)) ^ length;
  h1 = plus(h1, h2);
  h2 = plus(h2, h1);
  h1 = finish(h1);
  h2 = finish(h2);
  h1 = plus(h1, h2);
  return [h1, plus(h2, h1)];
}

function hashable(part) {
  if (typeof part === "string") return Buffer.concat([Buffer.from([8]), Buffer.from(part), Buffer.from([0xff])]);
  if (typeof part === "number") {
    const bytes = Buffer.alloc(9, 5);
    bytes.writeDoubleLE(part, 1);
    return bytes;
  }
  return Buffer.from([{ undefined: 0, true: 3, false: 2 }[part] ?? 1]);
}

function hash(bytes) {
  const [low, high] = murmur(bytes);
  const big = Buffer.alloc(16);
  big.writeBigUInt64BE(high, 0);
  big.writeBigUInt64BE(low, 8);
  big[0] &= 0x3f;
  return big.toString("hex").toUpperCase();
}

// The effective partition key: each level of a hierarchical key is hashed separately, so that a prefix is a range.
function effective(key, kind) {
  if (kind === "MultiHash") return key.map(part => hash(hashable(part))).join("");
  return hash(Buffer.concat(key.map(hashable)));
}

const at = (document, path) => path.slice(1).split("/").reduce((value, name) => value?.[name], document);
const keyOf = (document, paths) => paths.map(path => at(document, path));

function keyFromHeader(header) {
  if (!header) return undefined;
  const key = JSON.parse(header);
  return key.length === 1 && key[0] !== null && typeof key[0] === "object" ? [undefined] : key;
}

const same = (one, other) => nameOf(one) === nameOf(other);
const nameOf = key => JSON.stringify(key.map(part => part ?? null));

module.exports = { at, effective, keyFromHeader, keyOf, nameOf, same };
