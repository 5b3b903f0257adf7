import type { AgentContext } from "../agent.ts";
import { type Report, renderReport } from "./report.ts";

/** Keeps the report as the workflow's `report.md` and `report.json`, and gives it back. */
export async function writeReport(ctx: AgentContext, report: Report): Promise<Report> {
  await ctx.writeArtifact("report.md", renderReport(report), "text/markdown; charset=utf-8");
  await ctx.writeArtifact("report.json", `${JSON.stringify(report, null, 2)}\n`, "application/json");
  return report;
}
