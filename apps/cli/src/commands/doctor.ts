import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addDataDirOption, addJsonOption } from "../connect.ts";

const DoctorOptions = z.object({ dataDir: z.string().exactOptional(), json: z.boolean().default(false) });
/** What `doctor` is told. */
export type DoctorOptions = z.output<typeof DoctorOptions>;

/** Adds `doctor`: what a fleet depends on, and what to do about what is wrong. */
export function addDoctor({ parent, act }: CommandHost): void {
  const command = parent.command("doctor").description("check what a fleet depends on, and say what to do");
  act(addJsonOption(addDataDirOption(command)), DoctorOptions, async (context) => {
    const { examine } = await import("../examine.ts");
    return examine(context);
  });
}
