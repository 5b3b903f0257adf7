import { Command } from "commander";
import { commandHost } from "./action.ts";
import { addAgentCommands } from "./commands/agents.ts";
import { addDemo } from "./commands/demo.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addFailedWork } from "./commands/failed-work.ts";
import { addHistoryCommands } from "./commands/history.ts";
import { addInboxCommands } from "./commands/inbox.ts";
import { addIntake } from "./commands/intake.ts";
import { addKeys } from "./commands/keys.ts";
import { addRebuild } from "./commands/rebuild.ts";
import { addRun } from "./commands/run.ts";
import { addSchedules } from "./commands/schedules.ts";
import { addSecrets } from "./commands/secrets.ts";
import { addUp } from "./commands/up.ts";
import { addWorkflowCommands } from "./commands/workflows.ts";
import type { ExitCode } from "./exit.ts";
import manifest from "../package.json" with { type: "json" };

const exitCodes = `
Exit codes: 0 done, 1 the workflow failed, was aborted or cancelled, 2 wrong usage, 69 service unreachable,
78 bad configuration, 130 interrupted (the workflow goes on; its id is printed).`;

/** The command line of `flotilla`. Wrong usage throws commander's own error, after it has said what is wrong. */
export function buildProgram(onExit: (code: ExitCode) => void): Command {
  const program = new Command("flotilla")
    .description("runs multi-agent workflows on a fleet of queue workers")
    .version(manifest.version)
    .exitOverride()
    .showHelpAfterError("see --help for what there is")
    .addHelpText("after", exitCodes);
  const host = commandHost(program, onExit);
  addUp(host);
  addRun(host);
  addDemo(host);
  addWorkflowCommands(host);
  addFailedWork(host);
  addHistoryCommands(host);
  addInboxCommands(host);
  addIntake(host);
  addAgentCommands(host);
  addSecrets(host);
  addSchedules(host);
  addKeys(host);
  addDoctor(host);
  addRebuild(host);
  return program;
}
