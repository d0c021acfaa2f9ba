"""Models and traces in the languages of other tools.

Models: ``tla`` for TLC and ``promela`` for SPIN, both from what ``plan`` says of a ground system, and ``run`` to run them.  The
exported state space is the one that the explicit engine explores: the same distinct states and transitions, the same shortest
paths, the same fairness.  A move that leads out of bounds is a condition there, and no transition.

Traces: ``isolationtester`` and ``pytest_test``, both from the ``script`` that a trace is for a server.
"""
