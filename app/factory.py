"""Builds the web application of one running copy: every room's pages and commands, behind one set of doors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click
from flask import Flask, Response
from flask.cli import with_appcontext
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from app import keeping, layers, serving, signing
from app.accounts import guards
from app.api import description
from app.db import Database
from app.web import assets, errors, filters, htmx, navigation, security, transaction
from config import Config

ROOT = Path(__file__).resolve().parent.parent


def create_app(config: Config, database: Database | None = None) -> OpenAPI:
    """One application for one copy; nothing global but the key of what it signs."""
    app = OpenAPI(
        "app",
        root_path=str(ROOT / "app"),
        static_folder=str(ROOT / "static"),
        static_url_path="/static",
        doc_ui=False,  # its pages need inline script; the document itself is served by app.api
        **description.DOCUMENT,
    )
    signing.use(config.secret_key)
    layers.load_models()
    app.extensions["trellis"] = transaction.Copy(config, database or Database(config.database_url))
    _set(app, config)
    if config.proxies:  # only then: anybody can write the header
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.proxies, x_proto=config.proxies, x_host=0)  # type: ignore[method-assign]
    for part in (transaction, errors, security, guards, htmx, assets, filters, navigation):
        part.install(app)
    _add_rooms(app)
    return app


def _set(app: Flask, config: Config) -> None:
    is_secure = config.base_url.startswith("https:")
    app.config.update(
        SECRET_KEY=config.secret_key,
        # Browsers share cookies between the ports of a host; the name keeps two copies on one machine apart.
        SESSION_COOKIE_NAME=f"trellis_{config.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_secure,
        SESSION_PROTECTION=None,
        PREFERRED_URL_SCHEME="https" if is_secure else "http",
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def _add_rooms(app: OpenAPI) -> None:
    for module in layers.modules("views"):
        for blueprint in module.blueprints:
            if isinstance(blueprint, APIBlueprint):
                app.register_api(blueprint)
            else:
                app.register_blueprint(blueprint)
    for command in (each for module in (serving, keeping, *layers.modules("cli")) for each in module.commands):
        _add(app, _in_context(command))
    if not any(rule.rule == "/" for rule in app.url_map.iter_rules()):
        app.add_url_rule("/", "home", _home)


def _home() -> Response:
    return htmx.redirect(navigation.home())


def _add(app: Flask, command: click.Command) -> None:
    """A group that an earlier room has begun takes in the commands that a later one has for it: `flask leads …`."""
    begun = app.cli.commands.get(command.name or "")
    if isinstance(command, click.Group) and isinstance(begun, click.Group):
        begun.commands.update(command.commands)
    else:
        app.cli.add_command(command)


def _in_context(command: click.Command) -> click.Command:
    """Commands of the rooms are plain click; here they learn which application they run in."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _in_context(each)
    elif command.callback is not None:
        command.callback = with_appcontext(command.callback)
    return command
