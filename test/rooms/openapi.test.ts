import { runRoom } from '../fixtures/room.js'

runRoom('openapi')
