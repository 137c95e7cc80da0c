/** The first byte of a payload: the type of the value, and how it is encoded. */

export const typeByte = {
  string: 0,
  list: 1,
  set: 2,
  /** Scores in decimal. */
  zset: 3,
  hash: 4,
  /** Scores as doubles. */
  zset2: 5,
  hashZipmap: 9,
  listZiplist: 10,
  setIntset: 11,
  zsetZiplist: 12,
  hashZiplist: 13,
  /** Nodes that are ziplists. */
  listQuicklist: 14,
  stream: 15,
  hashListpack: 16,
  zsetListpack: 17,
  /** Nodes that are listpacks or single items. */
  listQuicklist2: 18,
  stream2: 19,
  setListpack: 20,
  stream3: 21,
} as const
