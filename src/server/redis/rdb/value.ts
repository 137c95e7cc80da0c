/** A value of Redis apart from where it lives, as a payload holds it. Bytes are binary strings. */

export type RdbValue =
  | { readonly type: 'string'; readonly text: string }
  /** The others have at least one element: Redis has no empty ones. */
  | { readonly type: 'list'; readonly items: readonly string[] }
  | { readonly type: 'set'; readonly members: ReadonlySet<string> }
  | { readonly type: 'hash'; readonly fields: ReadonlyMap<string, string> }
  /** Scores are never NaN. */
  | { readonly type: 'zset'; readonly scores: ReadonlyMap<string, number> }
