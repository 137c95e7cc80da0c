/**
 * Kinds of data that Redis has and this server has not, by their commands: an error then says that it is the kind that is
 * missing. In a script it is the only one that names the command, since Redis's own error there does not.
 */

const kinds: Readonly<Record<string, string>> = {
  'geo indexes': `geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch
    geosearchstore`,
  HyperLogLog: 'pfadd pfcount pfmerge',
  'expiry of single fields': `hexpire hexpireat hexpiretime hgetex hpersist hpexpire hpexpireat hpexpiretime hpttl hsetex
    httl`,
}

const kindOf: ReadonlyMap<string, string> = new Map(
  Object.entries(kinds).flatMap(([kind, names]) =>
    names.split(/\s+/).map((name): [string, string] => [name, kind]),
  ),
)

/** Such as "Daybook has no streams"; undefined where nothing is known of such a command. */
export function whyMissing(name: string): string | undefined {
  const kind = kindOf.get(name.toLowerCase())
  return kind === undefined ? undefined : `Daybook has no ${kind}`
}
