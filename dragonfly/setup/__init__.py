"""``dfdaemon setup`` and ``dfdaemon doctor``: an engine's own files, and whether it all works.

What the files become is pure: a :class:`~dragonfly.setup.tree.Tree` of texts comes in, a
:class:`~dragonfly.setup.plan.Plan` comes out; ``disk`` alone writes. Nothing here knows a
reactor: these are commands, and a command may block.
"""
