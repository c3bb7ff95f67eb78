-- Parts of a target that were replaced leave the disk after a second, not after eight minutes: publishing waits for that on
-- engines that would load them again when they restart.
-- Parameters: none.
ALTER TABLE {{ table }} MODIFY SETTING old_parts_lifetime = 1
