"""Runs a login program to its end: a token endpoint on loopback, and the person in the browser."""

import base64
import hashlib
import http.client
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import urllib.parse

PATIENCE = 30


class Failed(Exception):
    pass


class TokenEndpoint:
    """Answers as Spotify does, and holds each request against the login that it is for."""

    def __init__(self):
        self.challenge = None
        self.grants = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, body = endpoint.answer(form)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, form):
        form = dict(urllib.parse.parse_qsl(form, keep_blank_values=True))
        grant = form.get("grant_type")
        if grant == "authorization_code":
            verifier = form.get("code_verifier", "").encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
            is_good = form.get("code") == "the-code" and self.challenge in (None, digest)
        else:
            is_good = form.get("refresh_token") == "r" * 131
        if not is_good:
            return 400, json.dumps({"error": "invalid_grant"})
        self.grants.append(grant)
        return 200, json.dumps(
            {
                "access_token": "a" * 207,
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": "r" * 131,
                "scope": "user-read-private user-read-email",
            }
        )

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(base_url, port):
    """No program finds a browser to open."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    return kept | {"BASE_URL": base_url, "PORT": str(port), "BROWSER": "true"}


def url_in(line):
    """What the programs print, and the libraries that print for themselves, has the URL among words."""
    urls = (word for word in line.split() if word.startswith("http"))
    return next((url for url in urls if "response_type=code" in url), None)


def log_in(program):
    """A login and a refresh; raises Failed with the reason."""
    endpoint = TokenEndpoint()
    process = subprocess.Popen(
        [program],
        env=environment(endpoint.base_url, free_port()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    # Whatever it waits for, it does not wait for ever.
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        tokens = follow(process, endpoint)
        if process.wait() != 0:
            raise Failed(f"it ended with {process.returncode}")
        if tokens != 2 or endpoint.grants != ["authorization_code", "refresh_token"]:
            raise Failed(f"{tokens} tokens for {endpoint.grants}")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        endpoint.close()


def follow(process, endpoint):
    tokens, shown = 0, False
    for line in process.stdout:
        if url := url_in(line):
            # Some show it twice.
            if not shown:
                allow(process, endpoint, url)
            shown = True
        elif line.startswith("POST "):
            # It has no HTTP client: its requests are carried by hand.
            status, body = endpoint.answer(line.split()[2])
            say(process, f"{status} {body}")
        elif line.startswith("a token of 207 "):
            tokens += 1
    return tokens


def allow(process, endpoint, url):
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    endpoint.challenge = asked.get("code_challenge")
    answer = {"code": "the-code"}
    if "state" in asked:
        answer["state"] = asked["state"]
    callback = f"{asked['redirect_uri']}?{urllib.parse.urlencode(answer)}"
    # A program without a listener has it pasted; the others do not read.
    if not bring(callback):
        say(process, callback)


def bring(callback):
    """The redirect, as a browser makes it. Some programs show the URL before they listen."""
    to = urllib.parse.urlsplit(callback)
    target = f"{to.path or '/'}?{to.query}"
    for _ in range(10):
        browser = http.client.HTTPConnection("127.0.0.1", to.port, timeout=PATIENCE)
        try:
            browser.request("GET", target, headers={"Host": to.netloc})
            browser.getresponse().read()
            return True
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            browser.close()
    return False


def say(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
