"""What every suite in tests/ needs: a server launcher (server.py) and a byte client (client.py).

A suite puts tests/ on sys.path and writes `from lib.server import Program, Server`.
"""
