"""The exogenous plan: every random draw of a replicate, from named streams.

Who asks for what, when, and works how. The plan knows nothing of policies or capacity, so two
policies under one seed face exactly the same world.
"""
