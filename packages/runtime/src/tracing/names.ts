/**
 * Every name that stands in a span, by OpenTelemetry's semantic conventions (a test holds them against its package), and
 * those of our own, which begin with `flotilla.`.
 */
export const spanAttributes = {
  agentName: "gen_ai.agent.name",
  conversationId: "gen_ai.conversation.id",
  errorType: "error.type",
  finishReasons: "gen_ai.response.finish_reasons",
  httpMethod: "http.request.method",
  httpRoute: "http.route",
  httpStatus: "http.response.status_code",
  inputMessages: "gen_ai.input.messages",
  inputTokens: "gen_ai.usage.input_tokens",
  messageId: "messaging.message.id",
  messagingDestination: "messaging.destination.name",
  messagingOperation: "messaging.operation.type",
  messagingSystem: "messaging.system",
  operationName: "gen_ai.operation.name",
  outputMessages: "gen_ai.output.messages",
  outputTokens: "gen_ai.usage.output_tokens",
  providerName: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  responseId: "gen_ai.response.id",
  responseModel: "gen_ai.response.model",
  toolArguments: "gen_ai.tool.call.arguments",
  toolCallId: "gen_ai.tool.call.id",
  toolName: "gen_ai.tool.name",
  toolResult: "gen_ai.tool.call.result",
  toolType: "gen_ai.tool.type",
  urlPath: "url.path",
  urlScheme: "url.scheme",
} as const;

/** Names of our own: no convention has them. */
export const flotillaAttributes = {
  attempt: "flotilla.attempt",
  claim: "flotilla.claim",
  epoch: "flotilla.epoch",
  events: "flotilla.events",
  outcome: "flotilla.outcome",
  queuedMs: "flotilla.queued_ms",
  step: "flotilla.step",
  task: "flotilla.task",
  tenant: "flotilla.tenant",
  workflow: "flotilla.workflow",
} as const;

/** Names of the resource that a process is. */
export const resourceAttributes = {
  name: "service.name",
  namespace: "service.namespace",
  instance: "service.instance.id",
} as const;

/** Values of `gen_ai.operation.name`. */
export const operations = { chat: "chat", invokeAgent: "invoke_agent", executeTool: "execute_tool" } as const;
