import { defineEntity, p } from '@mikro-orm/sqlite';

/** Facts about this database itself, such as its installation id. */
export const SettingEntity = defineEntity({
  name: 'Setting',
  tableName: 'settings',
  properties: { key: p.string().primary(), value: p.text() },
});
