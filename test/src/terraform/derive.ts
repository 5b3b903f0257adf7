import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import type { Attribute, Block, ProviderSchema, Type } from "./schema.ts";

// Writes oci.schema.json anew: what the provider `oracle/oci` takes, of the types in resources.json, as far as the types of
// the npm package @pulumi/oci tell, which are made from that provider's own schema. Its registry is not asked by any test.
//
//   npm pack @pulumi/oci@4.20.0 && tar xzf pulumi-oci-4.20.0.tgz && node test/src/terraform/derive.ts package

const folder = process.argv[2];
if (folder === undefined) throw new Error("say where @pulumi/oci is unpacked");

const Wanted = z.strictObject({
  resources: z.record(z.string(), z.string()),
  data: z.record(z.string(), z.string()),
});
const here = import.meta.dirname;
const wanted = Wanted.parse(JSON.parse(await readFile(join(here, "resources.json"), "utf8")));
const texts = {
  inputs: withoutComments(await readFile(join(folder, "types/input.d.ts"), "utf8")),
  outputs: withoutComments(await readFile(join(folder, "types/output.d.ts"), "utf8")),
};

interface Field {
  name: string;
  isOptional: boolean;
  /** Without `pulumi.Input`, `pulumi.Output` and `undefined`. */
  type: string;
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
}

function unwrapped(type: string): string {
  let text = type.replaceAll(/\s+/g, " ").trim();
  for (;;) {
    const before = text;
    text = text.replace(/ \| undefined(?=[>\]]|$)/g, "").replace(/pulumi\.(?:Input|Output)<((?:[^<>])*)>/g, "$1");
    if (text === before) return text;
  }
}

/** The fields of `interface Name { … }` or `class Name …{ … }` in that text. */
function fieldsOf(text: string, head: RegExp): Field[] {
  const start = head.exec(text);
  if (!start) throw new Error(`no ${head.source}`);
  const rest = text.slice(start.index + start[0].length);
  const [body = ""] = rest.split(new RegExp(`\n${start[1] ?? ""}}`), 1);
  return Array.from(
    body.matchAll(/^\s*(?:readonly )?(\w+)(\??): ((?:[^;{]|\{[^}]*\})+);/gm),
    ([, name = "", optional, type = ""]) => ({ name, isOptional: optional === "?", type: unwrapped(type) }),
  );
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]+/g, (letters) => `_${letters.toLowerCase()}`);
}

function scalar(type: string): Type | undefined {
  if (type === "string" || type === "number") return type;
  if (type === "boolean") return "bool";
  if (/^\{ \[key: string\]: string;? \}$/.test(type)) return ["map", "string"];
  if (/^(string|number|boolean)\[\]$/.test(type)) return ["list", scalar(type.slice(0, -2)) ?? "string"];
  return undefined;
}

/** What a name like `inputs.Monitoring.AlarmOverride` means. */
function nested(reference: string): Field[] {
  const [, side, namespace, name] = /^(inputs|outputs)\.(\w+)\.(\w+)$/.exec(reference) ?? [];
  if ((side !== "inputs" && side !== "outputs") || name === undefined) throw new Error(`not understood: ${reference}`);
  const [, text = ""] = texts[side].split(`\nexport declare namespace ${namespace} {`);
  return fieldsOf(text, new RegExp(`\n( +)interface ${name} \\{`));
}

function objectType(reference: string): Type {
  const attributes = nested(reference).map(({ name, type }): [string, Type] => {
    const isList = type.endsWith("[]");
    const known = scalar(type) ?? ["list", objectType(isList ? type.slice(0, -2) : type)];
    return [snake(name), known];
  });
  return ["object", Object.fromEntries(attributes)];
}

function blockOf(inputs: readonly Field[], outputs: readonly Field[]): Block {
  const attributes: Record<string, Attribute> = {};
  const blocks: Block["blocks"] = {};
  for (const { name, isOptional, type } of inputs) {
    const known = scalar(type);
    if (known !== undefined) attributes[snake(name)] = { type: known, is: isOptional ? "optional" : "required" };
    else {
      const isList = type.endsWith("[]");
      const block = blockOf(nested(isList ? type.slice(0, -2) : type), []);
      blocks[snake(name)] = { block, min: isOptional ? 0 : 1, ...(isList ? {} : { max: 1 }) };
    }
  }
  for (const { name, type } of outputs) {
    if (snake(name) in attributes || snake(name) in blocks) continue;
    const reference = type.replace(/\[\]$/, "");
    attributes[snake(name)] = { type: scalar(type) ?? ["list", objectType(reference)], is: "computed" };
  }
  return { attributes, blocks };
}

async function resource(path: string): Promise<Block> {
  const text = withoutComments(await readFile(join(folder ?? "", `${path}.d.ts`), "utf8"));
  const file = basename(path);
  const name = file[0]?.toUpperCase() + file.slice(1);
  const outputs = fieldsOf(text, new RegExp(`export declare class ${name} extends pulumi.CustomResource \\{`));
  const own = outputs.filter(({ name: output }) => !/^(__pulumiType|static)$/.test(output));
  const block = blockOf(fieldsOf(text, new RegExp(`export interface ${name}Args \\{`)), own);
  block.attributes.id = { type: "string", is: "computed" };
  return block;
}

async function data(path: string): Promise<Block> {
  const text = withoutComments(await readFile(join(folder ?? "", `${path}.d.ts`), "utf8"));
  const file = basename(path);
  const name = file[0]?.toUpperCase() + file.slice(1);
  const inputs = fieldsOf(text, new RegExp(`export interface ${name}Args \\{`)).map((field) => ({
    ...field,
    // A filter is a block `filter` of one or more, which Pulumi names in the plural.
    name: field.name === "filters" ? "filter" : field.name,
  }));
  const outputs = fieldsOf(text, new RegExp(`export interface ${name}Result \\{`));
  return blockOf(
    inputs,
    outputs.filter((field) => field.name !== "filters"),
  );
}

const schema: ProviderSchema = { resources: {}, data: {} };
for (const [type, path] of Object.entries(wanted.resources)) schema.resources[type] = await resource(path);
for (const [type, path] of Object.entries(wanted.data)) schema.data[type] = await data(path);
await writeFile(join(here, "oci.schema.json"), `${JSON.stringify(schema)}\n`);
