"""The steps of the main job: records in, a StageResult out, no disk."""
