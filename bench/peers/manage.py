"""Django's command line for the usual assembly."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "assembly.settings")
    execute_from_command_line(sys.argv)
