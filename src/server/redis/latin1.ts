/** Bytes as a binary string. Node's fast way to it is not in its type declarations. */

interface Sliced {
  latin1Slice(start?: number, end?: number): string
}

export function latin1Of(bytes: Buffer, start?: number, end?: number): string {
  return (bytes as unknown as Sliced).latin1Slice(start, end)
}
