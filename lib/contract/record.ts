/** The fields of a value that the application passes, whatever its type is: all of them are `unknown`. */
export type UnknownRecord = Readonly<Record<string, unknown>>

export function recordOf (value: unknown): UnknownRecord {
  return Object(value) as UnknownRecord
}

/** The plugin of a Better Auth instance with this id. */
export function pluginOf ({ plugins }: UnknownRecord, id: string): unknown {
  return Array.isArray(plugins) ? plugins.find(plugin => recordOf(plugin).id === id) : undefined
}
