import type { z } from "zod";
import type { ProblemCode } from "./problem.ts";

/** One successful answer of a route. */
export interface AnswerDoc {
  description: string;
  /** By media type; `application/json` is the usual one. */
  content?: Record<string, z.ZodType>;
  headers?: Record<string, string>;
}

/** What a route takes and gives, for `/openapi.json`; the schemas are those that validate. */
export interface RouteDoc {
  id: string;
  summary: string;
  /** Whether it is answered without an API key. */
  isPublic?: boolean;
  params?: z.ZodObject;
  query?: z.ZodObject;
  headers?: Record<string, string>;
  body?: { schema: z.ZodType; isRequired: boolean };
  answers: Record<number, AnswerDoc>;
  /** Problems of this route, beside those that follow from its being authenticated or taking a body. */
  problems: readonly ProblemCode[];
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Stands on every route of the HTTP API; a test holds it against what is registered. */
    doc?: RouteDoc;
  }
}
