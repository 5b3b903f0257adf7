import { expect, test } from "vitest";
import { describePromtool, promtool, rules } from "./promtool.ts";

describePromtool("the tests of the rules for Prometheus", () => {
  test.each([
    ["a lag is let pass", "flotilla_due_lag_seconds) > 5", "flotilla_due_lag_seconds) > 7"],
    ["a lag alarms too early", "for: 1m", "for: 30s"],
    ["one supervisor speaks for all", "max(flotilla_due_lag_seconds)", "min(flotilla_due_lag_seconds)"],
    ["active workflows are counted by each supervisor", "max(flotilla_active", "sum(flotilla_active"],
    ["superseded claims hide failures", '=~"completed|failed"', '=~".+"'],
    ["workflows may take longer", "workflow_duration_p99 > 30", "workflow_duration_p99 > 46"],
    ["more tasks may fail", "agent_error_rate > 0.01", "agent_error_rate > 0.03"],
    ["more handoffs may fail", "handoff_success_rate < 0.99", "handoff_success_rate < 0.97"],
    [
      "what is rolled back is a success",
      'outcome="completed"}[5m]))\n          / sum(rate(flotilla_handoffs',
      'outcome!="failed"}[5m]))\n          / sum(rate(flotilla_handoffs',
    ],
    ["the archive may be further behind", "checkpoint_lag_seconds) > 60", "checkpoint_lag_seconds) > 90"],
    ["more workflows may be active", "flotilla_active_workflows) > 1000", "flotilla_active_workflows) > 1100"],
    ["fewer workflows alarm", "flotilla_active_workflows) > 1000", "flotilla_active_workflows) > 999"],
    ["more recoveries are let pass", "per_minute > 10", "per_minute > 13"],
  ])("notice when %s", async (_, right, wrong) => {
    expect(rules).toContain(right);
    const { passed, output } = await promtool(["test", "rules", "rules.test.yml"], (text) =>
      text.replaceAll(right, wrong),
    );
    expect(passed).toBe(false);
    expect(output).toContain("FAILED");
  });
});
