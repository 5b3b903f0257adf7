import type { Agent } from "../agent.ts";
import { type DocumentSettings, Documents } from "../documents/index.ts";
import { createAnalysis } from "./analysis.ts";
import { createExecution } from "./execution.ts";
import { createPlanner } from "./planner.ts";
import { createResearch } from "./research.ts";
import { createReview } from "./review.ts";

export { Report, renderReport } from "./report.ts";

/**
 * The agents that answer questions over documents: planner, research, analysis, execution and review. They share one
 * worker thread, started when a document is first asked for, which does not keep the process alive.
 */
export function builtinAgents(settings: DocumentSettings): Agent[] {
  const documents = new Documents(settings);
  return [
    createPlanner(documents),
    createResearch(documents),
    createAnalysis(),
    createExecution(),
    createReview(documents),
  ];
}
