// A real OpenID provider (npm oidc-provider), in memory, on a free loopback port.
// Prints one JSON line when it listens; stops on SIGTERM and when its standard input closes.
// Knobs (environment): AT_TTL, RT_TTL, CODE_TTL in seconds; ROTATE=always|never|default; LOG=1.
import http from 'node:http';

// Its advice for production is noise here, and partly goes to standard output, which holds one line only.
console.info = console.warn = () => {};
const { Provider } = await import('oidc-provider');

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.stdin.on('end', stop).on('error', stop).resume(); // no orphan when the test is killed

const seconds = (name, usual) => {
  const value = Number(process.env[name] ?? usual);
  if (!(Number.isInteger(value) && value > 0)) throw new Error(`${name} must be a whole number of seconds`);
  return value;
};
const rotate = process.env.ROTATE ?? 'default';
if (!['always', 'never', 'default'].includes(rotate)) throw new Error('ROTATE must be always, never or default');

// For application_type native the provider leaves the port of a loopback address out of the comparison.
const native = {
  application_type: 'native', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
};
const configuration = {
  clients: [
    { ...native, client_id: 'native-public', token_endpoint_auth_method: 'none' },
    { ...native, client_id: 'native-secret', client_secret: 'native-secret-value', token_endpoint_auth_method: 'client_secret_basic' },
    // Must be encoded before Base64 (RFC 6749 section 2.3.1): as they are, the colon cuts the id short.
    { ...native, client_id: 'odd:id+/%', client_secret: 's e:c+r/e%t&=?', token_endpoint_auth_method: 'client_secret_basic' },
  ],
  scopes: ['openid', 'offline_access', 'user-read-private', 'playlist-read-private'],
  cookies: { keys: ['test-only'] },
  clockTolerance: 0, // the default keeps tokens alive 15 s past their expires_in
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'), // without offline_access too
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  ...(rotate === 'default' ? {} : { rotateRefreshToken: rotate === 'always' }),
  ttl: {
    AccessToken: seconds('AT_TTL', 3600), RefreshToken: seconds('RT_TTL', 86400), AuthorizationCode: seconds('CODE_TTL', 60),
    Grant: 86400, Session: 86400, Interaction: 600, IdToken: 3600,
  },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
};

const server = http.createServer().listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  if (process.env.LOG) {
    for (const event of ['server_error', 'grant.error', 'authorization.error']) {
      provider.on(event, (_, error) => console.error(event, error.message, error.error_description, error.error_detail));
    }
  }
  const answer = provider.callback();
  server.on('request', async (req, res) => {
    if (req.url !== '/api') return answer(req, res);
    // A protected resource for plain OAuth tokens: the provider's own userinfo asks for the openid scope.
    const [, bearer] = /^Bearer (.+)$/.exec(req.headers.authorization ?? '') ?? [];
    const token = bearer && await provider.AccessToken.find(bearer);
    if (token?.isValid) res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: token.accountId }));
    else res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
  });
  console.log(JSON.stringify({
    pid: process.pid, issuer, authorize: `${issuer}/auth`, token: `${issuer}/token`, revoke: `${issuer}/token/revocation`,
    introspect: `${issuer}/token/introspection`, api: `${issuer}/api`, metadata: `${issuer}/.well-known/oauth-authorization-server`,
  }));
});
