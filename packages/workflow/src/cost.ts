import { z } from "zod";
import type { WorkflowRequest } from "./request.ts";
import type { Cost } from "./view.ts";

/** What a model costs, in US dollars per million tokens that it is given (`input`) and that it makes (`output`). */
export const Price = z.strictObject({ input: z.number().nonnegative(), output: z.number().nonnegative() });
export type Price = z.infer<typeof Price>;

/** Tokens of one call of a model, or of many. */
export interface TokenCount {
  input: number;
  output: number;
}

/** What calls of models cost. Money is in whole millionths of a US dollar, so that sums are exact. */
export interface Spend extends TokenCount {
  microUsd: number;
}

/** What a workflow may spend on models; what is left out is not bounded. `tokens` are those of both directions. */
export interface Budget {
  microUsd?: number;
  tokens?: number;
}

/** Why a call of a model may not be made now: others have set apart what is left (`busy`), or too little is left. */
export type HoldAnswer = "held" | "busy" | "exhausted";

export const noSpend: Spend = { microUsd: 0, input: 0, output: 0 };

/** What that many tokens cost, a fraction of a millionth counted as one. A model without a price costs nothing. */
export function spendOf({ input, output }: TokenCount, price: Price = { input: 0, output: 0 }): Spend {
  // A dollar for a million tokens is a millionth of a dollar for one.
  return { microUsd: Math.ceil(input * price.input + output * price.output), input, output };
}

/** The budget that a request asks for; undefined where it sets none. */
export function budgetOf({ budget }: Pick<WorkflowRequest, "budget">): Budget | undefined {
  if (budget === undefined) return undefined;
  const { usd, tokens } = budget;
  return {
    ...(usd === undefined ? {} : { microUsd: Math.floor(usd * 1_000_000) }),
    ...(tokens === undefined ? {} : { tokens }),
  };
}

/** As the API gives it. */
export function costOf({ microUsd, input, output }: Spend): Cost {
  return { usd: microUsd / 1_000_000, tokens: { input, output } };
}
