/** Bytes as a binary string, and back. Node's fast ways are not in its type declarations. */

interface Latin1 {
  latin1Slice(start?: number, end?: number): string
  latin1Write(text: string, start: number): number
}

export function latin1Of(bytes: Buffer, start?: number, end?: number): string {
  return (bytes as unknown as Latin1).latin1Slice(start, end)
}

export function writeLatin1(bytes: Buffer, text: string, start: number): void {
  ;(bytes as unknown as Latin1).latin1Write(text, start)
}
