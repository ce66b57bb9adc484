import { runRoom } from '../fixtures/room.js'

runRoom('init')
