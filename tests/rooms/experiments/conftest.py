import pytest

from rooms.models import Experiment
from tests.rooms.conftest import NOW


@pytest.fixture
def experiment(room):
    experiment = Experiment.objects.create(
        name="Pilot",
        reason="compare",
        platform_a="whereby",
        platform_b="daily",
        status=Experiment.Status.RUNNING,
        started_at=NOW,
        salt="0" * 32,
        watched=["joined"],
    )
    experiment.rooms.add(room)
    return experiment
