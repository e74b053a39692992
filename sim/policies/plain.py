"""Every kind as if there were none: what tests and examples change one policy of."""

from __future__ import annotations

from sim.policies.as_configured import AsConfigured
from sim.policies.base import Policies
from sim.policies.first_fit import FirstFit
from sim.policies.keep_files import KeepFiles
from sim.policies.never_release import NeverRelease
from sim.policies.no_education import NoEducation
from sim.policies.open_admission import OpenAdmission
from sim.policies.static_nodes import StaticNodes
from sim.policies.whole_gpus import WholeGpus

PLAIN = Policies(
    admission=OpenAdmission(),
    placement=FirstFit(),
    idle=NeverRelease(),
    sharing=WholeGpus(),
    nodes=StaticNodes(),
    serving=AsConfigured(),
    storage=KeepFiles(),
    education=NoEducation(),
)
