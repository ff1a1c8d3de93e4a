"""The sandbox: a development process that plays both providers over HTTP.

Started as ``python -m platforms.sandbox``; it imports nothing of the product, and the product nothing of it. See
``README.md`` in this folder.
"""
