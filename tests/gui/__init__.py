"""Tests of the reading room as a person uses it: a screen, a mouse and a keyboard.

Acceptance checks and the file whose ``test_check_NN_...`` covers them (behaviour; times are
measured by ``tests.benchmarks.bench_gui`` and never asserted):

====== ==========================================  =====================================
checks what                                        file
====== ==========================================  =====================================
1-10   planes, letters, fusion, projection         ``test_checks_planes``
11-16  table, edits, cut-offs, colours             ``test_checks_lesions``
17-20  missing facts, cancel, faults, saved case   ``test_checks_workflow``
21     same tables as the command line             ``test_reading_from_open_to_report``
22     two viewers                                 ``test_checks_workflow``
23-25  imports, privacy, small screen              ``test_checks_window``
====== ==========================================  =====================================
"""
