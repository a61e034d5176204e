import type { Access } from "../../internal/access.ts";

/** Who connects without a name, and without encryption. */
export const NOBODY: Access = { user: undefined, password: undefined, tls: undefined };
