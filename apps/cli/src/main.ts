import { CommanderError } from "commander";
import { describeFailure, exitCode } from "./exit.ts";
import { buildProgram } from "./program.ts";

// The launcher in bin/ was killed: its fleet must not outlive it, and every child ends when this process does.
process.on("disconnect", () => process.exit(exitCode.failed));
// The listener alone must not keep the process.
process.channel?.unref();

try {
  await buildProgram((code) => (process.exitCode = code)).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // commander has said what is wrong; --help and --version come here too, with 0.
    process.exitCode = error.exitCode === 0 ? exitCode.done : exitCode.usage;
  } else {
    const failure = describeFailure(error);
    console.error(failure ? `flotilla: ${failure.message}` : error);
    process.exitCode = failure?.exitCode ?? exitCode.failed;
  }
}
