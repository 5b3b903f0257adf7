/** A type of Terraform's language, as it writes it in JSON. */
export type Type = "string" | "number" | "bool" | ["list", Type] | ["map", Type] | ["object", Record<string, Type>];

/** An attribute; one that is optional may be filled in by the provider. */
export interface Attribute {
  type: Type;
  is: "required" | "optional" | "computed";
}

/** What stands between the braces of a resource or of a block in it; `max` is missing where there may be any number. */
export interface Block {
  attributes: Record<string, Attribute>;
  blocks: Record<string, { block: Block; min: number; max?: number }>;
}

/** Type of a resource, or of a data source → what it takes and gives. */
export interface ProviderSchema {
  resources: Record<string, Block>;
  data: Record<string, Block>;
}
