// An OpenID Connect provider for the tests of the console, on loopback. It prints its address as
// soon as it answers. Any name and password sign in; the name becomes the subject.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [clientId, audience] = process.argv.slice(2);
const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(null)));
const issuer = `http://localhost:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId, application_type: "native", token_endpoint_auth_method: "none", response_types: ["code"],
    grant_types: ["authorization_code"], redirect_uris: ["http://127.0.0.1/console"],
  }],
  pkce: { required: () => true },
  clientBasedCORS: () => true,
  features: {
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: "", audience, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
    },
  },
  extraTokenClaims: (_, token) => ({ email: `${token.accountId}@example.org`, email_verified: true }),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
server.on("request", provider.callback());
console.log(issuer);
