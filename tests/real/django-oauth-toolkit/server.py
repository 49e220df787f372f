"""A real authorization server (django-oauth-toolkit) in one file, SQLite in a temporary folder, on a free loopback port.
Prints one JSON line when it listens; stops on SIGTERM and when its standard input closes.
Knobs (environment): AT_TTL, RT_TTL, CODE_TTL in seconds; ROTATE=1|0 (0: a refresh repeats the refresh token);
REUSE_PROTECTION=1|0 (1: an old refresh token kills the newest); GRACE (seconds an old one still works); ISS=0|1."""
import atexit, json, os, shutil, signal, socketserver, tempfile, threading, wsgiref.simple_server

work = tempfile.mkdtemp(prefix='django-oauth-toolkit-')
atexit.register(shutil.rmtree, work, ignore_errors=True)


def stop(*_):
    shutil.rmtree(work, ignore_errors=True)  # the next line goes past atexit
    os._exit(0)


def stop_at_end_of_input():  # no orphan when the test is killed
    while os.read(0, 4096):
        pass
    stop()


signal.signal(signal.SIGTERM, stop)
threading.Thread(target=stop_at_end_of_input, daemon=True).start()


def knob(name, usual, switch=False):
    value = int(os.environ.get(name, usual))
    if value < 0 or switch and value > 1:
        raise SystemExit(f'{name} must be ' + ('1 or 0' if switch else 'a whole number of seconds'))
    return bool(value) if switch else value


import django
from django.conf import settings

APPS = ['auth', 'contenttypes', 'sessions', 'messages']
settings.configure(
    ALLOWED_HOSTS=['127.0.0.1'], SECRET_KEY='test-only', ROOT_URLCONF=__name__, LOGIN_URL='/login/', USE_TZ=True,
    INSTALLED_APPS=[f'django.contrib.{app}' for app in APPS] + ['oauth2_provider'],
    MIDDLEWARE=['django.contrib.sessions.middleware.SessionMiddleware', 'django.middleware.csrf.CsrfViewMiddleware',
                'django.contrib.auth.middleware.AuthenticationMiddleware', 'django.contrib.messages.middleware.MessageMiddleware'],
    TEMPLATES=[{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True,
                'OPTIONS': {'context_processors': ['django.template.context_processors.request', 'django.contrib.auth.context_processors.auth']}}],
    # Take the write lock at the start of a transaction: otherwise refreshes at once end in "database is locked".
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.path.join(work, 'db.sqlite3'),
                           'OPTIONS': {'timeout': 20, 'transaction_mode': 'IMMEDIATE'}}},
    DEFAULT_AUTO_FIELD='django.db.models.AutoField', PASSWORD_HASHERS=['django.contrib.auth.hashers.MD5PasswordHasher'],
    MIGRATION_MODULES={app: None for app in [*APPS, 'oauth2_provider']},  # make the tables at once, not by history
    OAUTH2_PROVIDER={
        'SCOPES': {'user-read-private': 'Read your profile', 'playlist-read-private': 'Read private playlists'},
        'DEFAULT_SCOPES': ['user-read-private'],
        'ACCESS_TOKEN_EXPIRE_SECONDS': knob('AT_TTL', 3600), 'REFRESH_TOKEN_EXPIRE_SECONDS': knob('RT_TTL', 86400),
        'AUTHORIZATION_CODE_EXPIRE_SECONDS': knob('CODE_TTL', 60), 'REFRESH_TOKEN_GRACE_PERIOD_SECONDS': knob('GRACE', 0),
        'ROTATE_REFRESH_TOKEN': knob('ROTATE', 1, switch=True), 'REFRESH_TOKEN_REUSE_PROTECTION': knob('REUSE_PROTECTION', 1, switch=True),
        'COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS': knob('ISS', 0, switch=True),
    })
django.setup()

from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path
from oauth2_provider.decorators import protected_resource
from oauth2_provider.models import get_application_model

LOGIN = '''<!doctype html><title>Sign in</title><form method="post">{% csrf_token %}{{ form.as_p }}
<input type="hidden" name="next" value="{{ next }}"><button type="submit">Sign in</button></form>'''


class Login(LoginView):
    def render_to_response(self, context, **_):
        return HttpResponse(engines['django'].from_string(LOGIN).render(context, self.request))


@protected_resource(scopes=['user-read-private'])
def api(request):
    return JsonResponse({'id': request.resource_owner.username})


urlpatterns = [path('login/', Login.as_view()), path('api', api), path('o/', include('oauth2_provider.urls', namespace='oauth2_provider'))]

call_command('migrate', run_syncdb=True, verbosity=0)
get_user_model().objects.create_user('alice', password='pw')
Application = get_application_model()
# The port of a loopback literal is left out of the comparison. A client without a secret is a public one.
for name, secret in [('native-public', ''), ('native-secret', 'native-secret-value'), ('odd:id+/%', 's e:c+r/e%t&=?')]:
    Application.objects.create(
        name=name, client_id=name, client_secret=secret, authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        client_type=Application.CLIENT_CONFIDENTIAL if secret else Application.CLIENT_PUBLIC,
        redirect_uris='http://127.0.0.1/callback http://[::1]/callback')


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = wsgiref.simple_server.make_server('127.0.0.1', 0, get_wsgi_application(), Server, Quiet)
base = f'http://127.0.0.1:{server.server_port}'
print(json.dumps({'pid': os.getpid(), 'issuer': base + '/o', 'authorize': base + '/o/authorize/', 'token': base + '/o/token/',
                  'revoke': base + '/o/revoke_token/', 'introspect': base + '/o/introspect/', 'api': base + '/api',
                  'metadata': base + '/o/.well-known/oauth-authorization-server'}), flush=True)
server.serve_forever()
