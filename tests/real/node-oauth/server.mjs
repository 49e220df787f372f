// A real authorization server (npm @node-oauth/oauth2-server) behind node:http, in memory, on a free loopback port.
// Prints one JSON line when it listens; stops on SIGTERM and when its standard input closes.
// Knobs (environment): AT_TTL, RT_TTL, CODE_TTL in seconds; ROTATE=1|0 (0: a refresh answers without refresh_token).
import http from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.stdin.on('end', stop).on('error', stop).resume(); // no orphan when the test is killed

const seconds = (name, usual) => {
  const value = Number(process.env[name] ?? usual);
  if (!(Number.isInteger(value) && value > 0)) throw new Error(`${name} must be a whole number of seconds`);
  return value;
};
const rotate = process.env.ROTATE ?? '1';
if (!['0', '1'].includes(rotate)) throw new Error('ROTATE must be 1 or 0');

const native = { grants: ['authorization_code', 'refresh_token'], redirectUris: ['http://127.0.0.1/callback', 'http://[::1]/callback'] };
const clients = new Map([
  { ...native, id: 'native-public' },
  { ...native, id: 'native-secret', secret: 'native-secret-value' },
  { ...native, id: 'odd-secret', secret: 's e+/%t&=?' }, // this library reads Basic as it is, undecoded
].map((client) => [client.id, client]));
const scopes = ['user-read-private', 'playlist-read-private'];
const codes = new Map(), access = new Map(), refresh = new Map();

// The library compares redirect addresses exactly. A native app's listener takes any free port, so leave
// the port of the two loopback literals out of the comparison (RFC 8252 section 7.3) and nothing else.
const portless = (uri) => uri.replace(/^(http:\/\/(?:127\.0\.0\.1|\[::1\])):\d+(?=\/)/, '$1');

const model = {
  validateRedirectUri: async (uri, client) => client.redirectUris.includes(portless(uri)),
  // The authorization endpoint asks with a null secret; the token endpoint with what was sent, if anything.
  getClient: async (id, secret) => {
    const client = clients.get(id);
    return client && (secret === null || secret === client.secret) ? client : null;
  },
  validateScope: async (user, client, asked) => (!asked ? scopes.slice(0, 1) : asked.every((s) => scopes.includes(s)) && asked),
  saveAuthorizationCode: async (code, client, user) => {
    const item = { ...code, client, user };
    codes.set(code.authorizationCode, item);
    return item;
  },
  getAuthorizationCode: async (code) => codes.get(code),
  revokeAuthorizationCode: async (code) => codes.delete(code.authorizationCode),
  saveToken: async (token, client, user) => {
    const item = { ...token, client, user };
    access.set(token.accessToken, item);
    if (token.refreshToken) refresh.set(token.refreshToken, item);
    return item;
  },
  getAccessToken: async (token) => access.get(token),
  getRefreshToken: async (token) => refresh.get(token),
  revokeToken: async (token) => refresh.delete(token.refreshToken),
};
const oauth = new OAuth2Server({
  model, accessTokenLifetime: seconds('AT_TTL', 3600), refreshTokenLifetime: seconds('RT_TTL', 86400),
  authorizationCodeLifetime: seconds('CODE_TTL', 60), alwaysIssueNewRefreshToken: rotate === '1',
});

const consent = '<!doctype html><title>Allow?</title><p>Signed in as alice.</p><form method="post">'
  + '<button name="answer" value="yes">Allow</button><button name="answer" value="no">Deny</button></form>';

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://127.0.0.1');
  let text = '';
  for await (const part of req) text += part;
  const body = Object.fromEntries(new URLSearchParams(text));
  const request = new OAuth2Server.Request({ method: req.method, headers: req.headers, query: Object.fromEntries(url.searchParams), body });
  const response = new OAuth2Server.Response();
  const json = (status, value) => res.writeHead(status, { ...response.headers, 'content-type': 'application/json' }).end(JSON.stringify(value));
  const redirect = () => res.writeHead(response.status, response.headers).end();
  try {
    if (url.pathname === '/authorize' && req.method === 'GET') {
      res.writeHead(200, { 'content-type': 'text/html' }).end(consent);
    } else if (url.pathname === '/authorize') {
      if (body.answer === 'no') request.query.allowed = 'false';
      await oauth.authorize(request, response, { authenticateHandler: { handle: () => ({ id: 'alice' }) } });
      redirect();
    } else if (url.pathname === '/token') {
      // Only a client that has no secret may come without one.
      const open = clients.has(body.client_id) && !clients.get(body.client_id).secret;
      await oauth.token(request, response, { requireClientAuthentication: open ? { authorization_code: false, refresh_token: false } : {} });
      json(200, response.body);
    } else if (url.pathname === '/api') {
      const token = await oauth.authenticate(request, response);
      json(200, { id: token.user.id });
    } else {
      res.writeHead(404).end();
    }
  } catch (error) {
    if (response.headers.location) redirect();
    else json(error.code ?? 500, { error: error.name, error_description: error.message });
  }
});
server.listen(0, '127.0.0.1', () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ pid: process.pid, authorize: `${base}/authorize`, token: `${base}/token`, api: `${base}/api` }));
});
