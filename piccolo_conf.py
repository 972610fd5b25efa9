"""What Piccolo's own commands read. Nothing of ours imports this module: the engine connects when it is made."""

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

from domain.settings import load_settings

DB = PostgresEngine(config={"dsn": load_settings().database.url.get_secret_value()})

APP_REGISTRY = AppRegistry(apps=["schema.piccolo_app"])
