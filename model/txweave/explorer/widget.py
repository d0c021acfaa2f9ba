"""The explorer in a notebook: a thin skin over :class:`txweave.explorer.session.Session`."""

from __future__ import annotations

from functools import cache
from typing import Any

from txweave.collect import Usage
from txweave.explorer.session import Session
from txweave.report import explorer


def widget(session: Session) -> Any:
    """A widget that shows a session.

    Raises:
        Usage: anywidget is not installed.
    """
    return _kind()(session)


@cache
def _kind() -> type:
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise Usage("the explorer needs anywidget: pip install 'txweave[jupyter]'") from error

    class ExplorerWidget(anywidget.AnyWidget):
        """What it shows is ``document``; questions and answers are messages."""

        _esm = explorer.module()
        _css = explorer.stylesheet()
        document = traitlets.Dict().tag(sync=True)
        kept: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)

        def __init__(self, session: Session) -> None:
            super().__init__(document=session.document())
            self._session = session
            self.on_msg(self._asked)

        def _asked(self, _: object, message: dict[str, Any], __: object) -> None:
            reply = self._session.handle(message)
            if "error" not in reply:
                try:
                    self.document = self._session.document()
                except Exception as error:  # noqa: BLE001 - shown in the widget, where it would be lost otherwise
                    reply = {"id": message.get("id"), "error": f"internal error: {type(error).__name__}: {error}"}
            self.send(reply)

    return ExplorerWidget
