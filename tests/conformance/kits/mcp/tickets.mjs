// A server of the official SDK that takes only tokens that were issued for it. It imports what the MCP project's own
// test server brings along.
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import express from "express";
import { createLocalJWKSet, jwtVerify } from "jose";

const keys = createLocalJWKSet(JSON.parse(process.env.KEYS));
const audience = process.env.AUDIENCE;

async function verifyAccessToken(token) {
  const { payload } = await jwtVerify(token, keys, { audience }).catch((error) => {
    throw new InvalidTokenError(error.message);
  });
  const { azp: clientId, scp, exp: expiresAt, oid } = payload;
  return { token, clientId, scopes: scp.split(" "), expiresAt, extra: { oid } };
}

function ticketServer() {
  const server = new McpServer({ name: "tickets", version: "1.0.0" });
  const who = ({ authInfo }) => ({ content: [{ type: "text", text: authInfo.extra.oid }] });
  server.registerTool("whoami", { description: "Tells who asks." }, who);
  return server;
}

const app = express();
const protectedBy = requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: ["Tickets.ReadWrite"] });
app.all("/mcp", protectedBy, express.json(), async (request, response) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => transport.close());
  await ticketServer().connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.listen(process.env.PORT);
