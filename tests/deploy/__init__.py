"""The files of `deploy/`, each judged by the tool that reads it, and the program's commands and settings in them."""

from tests import ROOT

DEPLOY = ROOT / "deploy"
