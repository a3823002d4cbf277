import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Rolled-up values, column by column; row i is what became of one metric in one minute, hour or day. */
export interface Block {
  /** Ids of the metrics, ascending. */
  metric: Uint32Array;
  /** Minutes since the block's start, for blocks of minutes; otherwise 0. */
  slot: Uint32Array;
  count: Uint32Array;
  min: Float32Array;
  avg: Float32Array;
  max: Float32Array;
}

export interface Row {
  metric: number;
  slot: number;
  count: number;
  min: number;
  avg: number;
  max: number;
}

/** Rows that one block holds at most, so that a look at one device needn't read those of thousands. */
const rowsPerBlock = 16_384;

/**
 * Packs rows into blocks. Six columns of 4-byte numbers, little-endian, one after the other, compressed: ids that follow
 * each other as differences, and a column that repeats another costs next to nothing.
 */
export function packBlocks(rows: readonly Row[]): { first: number; last: number; data: Buffer }[] {
  const sorted = rows.toSorted((a, b) => a.metric - b.metric || a.slot - b.slot);
  const blocks = [];
  for (let from = 0; from < sorted.length; from += rowsPerBlock) {
    const part = sorted.slice(from, from + rowsPerBlock);
    const n = part.length;
    const bytes = new ArrayBuffer(n * 24);
    const ints = new Uint32Array(bytes, 0, n * 3);
    const floats = new Float32Array(bytes, n * 12, n * 3);
    let before = 0;
    for (const [i, row] of part.entries()) {
      ints[i] = row.metric - before;
      before = row.metric;
      ints[n + i] = row.slot;
      ints[2 * n + i] = row.count;
      floats[i] = row.min;
      floats[n + i] = row.avg;
      floats[2 * n + i] = row.max;
    }
    blocks.push({
      first: part[0]?.metric ?? 0,
      last: part[n - 1]?.metric ?? 0,
      data: zstdCompressSync(Buffer.from(bytes)),
    });
  }
  return blocks;
}

export function unpackBlock(data: Buffer): Block {
  const raw = zstdDecompressSync(data);
  // Node may hand out a slice of a pool that starts anywhere; columns of 4 bytes have to start at a multiple of 4.
  const bytes = raw.byteOffset % 4 === 0 ? raw : Buffer.from(new Uint8Array(raw));
  const n = bytes.byteLength / 24;
  const ints = (column: number) => new Uint32Array(bytes.buffer, bytes.byteOffset + column * n * 4, n);
  const floats = (column: number) => new Float32Array(bytes.buffer, bytes.byteOffset + column * n * 4, n);
  const metric = ints(0);
  for (let i = 1; i < n; i += 1) metric[i] = (metric[i] ?? 0) + (metric[i - 1] ?? 0);
  return { metric, slot: ints(1), count: ints(2), min: floats(3), avg: floats(4), max: floats(5) };
}
