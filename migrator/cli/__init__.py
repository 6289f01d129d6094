"""The engine from a shell: ``mailferry copy`` and ``mailferry move-accounts``. Only words, files and terminals here."""
