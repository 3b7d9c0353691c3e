"""`trimtab COMMAND`, or `python -m infra.operator COMMAND`: the command line for operators."""

from infra.operator.cli import trimtab

if __name__ == "__main__":
    trimtab()
