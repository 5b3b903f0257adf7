import type { WorkflowState } from "@flotilla/workflow";

/** What the agents of a workflow share, as fields of its index; see lua/prelude.lua for their text. */
export function sharedFields({ shared }: WorkflowState): [field: string, text: string][] {
  if (shared.size === 0) return [];
  const values = [...shared].map(([name, { value, version }]) => ({ name, version, text: JSON.stringify(value) }));
  const bytes = values.reduce((sum, { name, text }) => sum + Buffer.byteLength(name) + Buffer.byteLength(text), 0);
  const fields = values.map(({ name, version, text }): [string, string] => [`shared:${name}`, `${version} ${text}`]);
  return [...fields, ["sharedBytes", `${bytes}`]];
}
